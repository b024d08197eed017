// What is known of a key that is asked again and again, so that no answer is taken for that to another key.

export interface QueryState<T> {
  /** What `data` and `error` are about; null previous the first answer. */
  key: string | null;
  data: T | null;
  error: Error | null;
}

export function initialState<T>(): QueryState<T> {
  return { key: null, data: null, error: null };
}

/** The same object where nothing changed. */
export function succeeded<T>(previous: QueryState<T>, key: string, data: T): QueryState<T> {
  const same = previous.key === key && previous.data === data && previous.error === null;
  return same ? previous : { key, data, error: null };
}

/** Keeps the last answer to this key; one to another key says nothing about this one. */
export function failed<T>(previous: QueryState<T>, key: string, error: Error): QueryState<T> {
  return { key, data: previous.key === key ? previous.data : null, error };
}
