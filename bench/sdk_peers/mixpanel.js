import mixpanel from "mixpanel-browser/src/loaders/loader-module-core";

const COLLECTOR = document.currentScript.dataset.collector;
mixpanel.init("key", { api_host: COLLECTOR, autocapture: true, track_pageview: true, persistence: "localStorage" });
window.tell = (n) => mixpanel.track(`event_${n}`, { n });
