// Light or dark: as the system says, until the viewer chooses.
const KEY = 'session-buddy-theme';
export type Theme = 'light' | 'dark';

const system = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function stored(): Theme | null {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === 'light' || theme === 'dark' ? theme : null;
  } catch {
    return null;
  }
}

let chosen = stored();

/** Colours that were asked for in the present theme. */
const colours = new Map<string, string>();

function apply(): void {
  colours.clear();
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  for (const listener of listeners) listener();
}

export function theme(): Theme {
  return chosen ?? (system.matches ? 'dark' : 'light');
}

/** The other one; the system's choice is left to the system again. */
export function toggleTheme(): void {
  const next: Theme = theme() === 'dark' ? 'light' : 'dark';
  chosen = next === (system.matches ? 'dark' : 'light') ? null : next;
  try {
    if (chosen) localStorage.setItem(KEY, chosen);
    else localStorage.removeItem(KEY);
  } catch {
    // It lasts as long as the page.
  }
  apply();
}

export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

system.addEventListener('change', apply);
apply();

/** What a custom property of the style sheet is as a colour, in the present theme: canvases cannot ask by themselves. */
export function colour(name: string): string {
  const known = colours.get(name);
  if (known !== undefined) return known;
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  colours.set(name, value);
  return value;
}
