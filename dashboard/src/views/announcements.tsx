// The only live region of the page: announces each thing once to screen readers.
import { Store, useStore } from '../data/store.ts';

const announced = new Store({ text: '' });

export function announce(text: string): void {
  announced.set({ text });
}

/** Focuses the heading of the alerts if the element with the focus was removed. */
export function focusAlerts(): void {
  // After the page has rendered the change.
  setTimeout(() => {
    if (document.activeElement === document.body) document.getElementById('alerts-title')?.focus();
  });
}

export function Announcements() {
  return (
    <div class="visually-hidden" role="status" aria-live="polite" data-testid="announcements">
      {useStore(announced, ({ text }) => text)}
    </div>
  );
}
