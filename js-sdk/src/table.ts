/** Values by name, and nothing that was not put there. */
export type Table<T> = Record<string, T | undefined>;

export const table = <T>(): Table<T> => ({ __proto__: null }) as unknown as Table<T>;
