// What is known of a question that is asked again and again, so that no answer is taken for that to another question.

export interface Answer<T> {
  /** What `data` and `error` are about; null before the first answer. */
  question: string | null;
  data: T | null;
  error: Error | null;
}

export function unanswered<T>(): Answer<T> {
  return { question: null, data: null, error: null };
}

/** The same object where nothing changed. */
export function answered<T>(before: Answer<T>, question: string, data: T): Answer<T> {
  const same = before.question === question && before.data === data && before.error === null;
  return same ? before : { question, data, error: null };
}

/** Keeps the last answer to this question; one to another question says nothing about this one. */
export function failed<T>(before: Answer<T>, question: string, error: Error): Answer<T> {
  return { question, data: before.question === question ? before.data : null, error };
}
