/** What the window has of its own under a name: an element with this id or name is found there too, and is not meant. */
export const globalOf = <T>(name: string): T | undefined => (Object.hasOwn(window, name) ? (window as unknown as Record<string, T>)[name] : undefined);
