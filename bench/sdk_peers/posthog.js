import posthog from "posthog-js";

const COLLECTOR = document.currentScript.dataset.collector;
posthog.init("key", { api_host: COLLECTOR, autocapture: true, capture_pageview: true, disable_session_recording: true, disable_external_dependency_loading: true, advanced_disable_flags: true });
window.tell = (n) => posthog.capture(`event_${n}`, { n });
