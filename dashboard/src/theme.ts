// Light or dark theme: the setting of the system, until the viewer selects one.
import { storedText } from './data/stored-text.ts';

export type Theme = 'light' | 'dark';

const system = window.matchMedia('(prefers-color-scheme: dark)');
const chosen = storedText('session-buddy-theme', () => localStorage);
const listeners = new Set<() => void>();

/** What the viewer selected. */
function selected(): Theme | undefined {
  const text = chosen.get();
  return text === 'light' || text === 'dark' ? text : undefined;
}

function systemTheme(): Theme {
  return system.matches ? 'dark' : 'light';
}

/** Cache of resolved colours of the current theme. */
const colours = new Map<string, string>();

function apply(): void {
  colours.clear();
  const theme = selected();
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const listener of listeners) listener();
}

export function theme(): Theme {
  return selected() ?? systemTheme();
}

/** Switches the theme; selecting the setting of the system clears the stored choice. */
export function toggleTheme(): void {
  const next = theme() === 'dark' ? 'light' : 'dark';
  chosen.set(next === systemTheme() ? undefined : next);
  apply();
}

export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

system.addEventListener('change', apply);
apply();

/** Resolves a CSS custom property to a colour of the current theme, for drawing on a canvas. */
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
