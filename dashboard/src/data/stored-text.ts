// A text in a storage of the browser. Storage may be blocked; the text then lasts as long as the page.

export function storedText(key: string, storage: () => Storage) {
  let text: string | undefined;
  const attempt = (use: (stored: Storage) => void) => {
    try {
      use(storage());
    } catch {
      // Blocked: `text` has it.
    }
  };
  attempt((stored) => {
    text = stored.getItem(key) ?? undefined;
  });
  return {
    get: () => text,
    set(changed: string | undefined): void {
      text = changed;
      attempt((stored) => (text === undefined ? stored.removeItem(key) : stored.setItem(key, text)));
    },
  };
}
