/** The parts that a site may leave out, in the order in which they start. */
export const FEATURES = ["clicks", "clipboard", "forms", "keys", "media", "pointer", "scroll", "shop"];

/** Names of ours alone, no property of the platform and no word of the wire: a script tag's file may shorten them. */
export const INTERNAL = `
  admits answer api ask beacon begin bequeath callOff cleaned closeUp closing dropAll dropOff erase forget given greeting hear keep
  kept known landed lastOrder later leave leaving names nextOrder permit post remember retryAfter settings settle shelve take takeOver takeUp tell
  viewed
`.trim().split(/\s+/);
