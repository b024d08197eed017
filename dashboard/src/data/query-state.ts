// State of a query that is polled: the data belongs to one key and is never shown for another one.

export interface QueryState<T> {
  /** The query that `data` and `error` belong to; null before the first response. */
  key: string | null;
  data: T | null;
  error: Error | null;
}

export function initialState<T>(): QueryState<T> {
  return { key: null, data: null, error: null };
}

/** Returns the same object if nothing changed. */
export function succeeded<T>(previous: QueryState<T>, key: string, data: T): QueryState<T> {
  const same = previous.key === key && previous.data === data && previous.error === null;
  return same ? previous : { key, data, error: null };
}

/** Keeps the last data of the same key; data of another key is dropped. */
export function failed<T>(previous: QueryState<T>, key: string, error: Error): QueryState<T> {
  return { key, data: previous.key === key ? previous.data : null, error };
}
