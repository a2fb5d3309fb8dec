/** The parts that a site may leave out, in the order in which they start. */
export const FEATURES = ["clicks", "clipboard", "forms", "keys", "media", "pointer", "scroll", "shop"];

/** Names of ours alone, no property of the platform and no word of the wire: a script tag's file may shorten them. */
export const INTERNAL = `
  admits backing backOff batches beacon bequeath bequeathing chars closeId closing consentOf delivered described drain
  eventOf failures guard holder inFlight isMine landed landing landingTold lastOrder lastWord lease leaving loggedIn moved
  newId nextOrder outlet pages queue record remember retryAfter schedule settle settled signals spool
  spooled started tell timerAt unschedule viewed views visibleMs visibleSince watchTheEnd withdraw
`.trim().split(/\s+/);
