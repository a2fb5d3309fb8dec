/** The parts that a site may leave out, in the order in which they start. */
export const FEATURES = ["clicks", "clipboard", "forms", "keys", "media", "pointer", "scroll", "shop"];

/** Names of ours alone, no property of the platform and no word of the wire: a script tag's file may shorten them. */
export const INTERNAL = `
  admits ahead answer api begin broken bequeath callOff cleaned closeUp closing dropAll erase exchange forget given outlives keep
  kept known landed lastOrder late later leave leaving moved names nextOrder part permit post remember retryAfter settings settle formed shelve take takeOver takeUp tell tellEnd
  touch viewed wanted
`.trim().split(/\s+/);
