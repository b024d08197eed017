// More names than the server tracks: what the page says of them.

/** A sentence on the options that the server names as reached, such as `max_tracked_skills`; null where it names none. */
export function limitsSentence(options: readonly string[]): string | null {
  if (options.length === 0) return null;
  const more = options.map(
    (option) => `more ${option.replace('max_tracked_', '').replaceAll('_', ' ')} than ${option}`,
  );
  const list = new Intl.ListFormat('en').format(more);
  return `${list.charAt(0).toUpperCase()}${list.slice(1)}: the rest is summed as other.`;
}
