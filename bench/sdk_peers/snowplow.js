import { ButtonClickTrackingPlugin, enableButtonClickTracking } from "@snowplow/browser-plugin-button-click-tracking";
import { LinkClickTrackingPlugin, enableLinkClickTracking } from "@snowplow/browser-plugin-link-click-tracking";
import { newTracker, trackPageView, trackStructEvent } from "@snowplow/browser-tracker";

const COLLECTOR = document.currentScript.dataset.collector;
newTracker("sp", COLLECTOR, { appId: "page", plugins: [LinkClickTrackingPlugin(), ButtonClickTrackingPlugin()] });
enableLinkClickTracking();
enableButtonClickTracking();
trackPageView();
window.tell = (n) => trackStructEvent({ category: "page", action: `event_${n}`, value: n });
