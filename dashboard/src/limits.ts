// The note about limits on tracked names that the server has reached.

/** A sentence about the reached limits, given as option names such as `max_tracked_skills`; null without any. */
export function limitsSentence(options: readonly string[]): string | null {
  if (options.length === 0) return null;
  const more = options.map(
    (option) => `more ${option.replace('max_tracked_', '').replaceAll('_', ' ')} than ${option}`,
  );
  const list = new Intl.ListFormat('en').format(more);
  return `${list.charAt(0).toUpperCase()}${list.slice(1)}: the rest is summed as other.`;
}
