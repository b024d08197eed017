// Client-side routing by the URL fragment, which browsers do not send to the server.

export type Route = { view: 'overview' } | { view: 'help' } | { view: 'skill'; skillName: string };

const SKILL = '#/skill/';
export const HELP_HREF = '#/help';

export function parseRoute(hash: string): Route {
  if (hash.startsWith(SKILL) && hash.length > SKILL.length) {
    try {
      return { view: 'skill', skillName: decodeURIComponent(hash.slice(SKILL.length)) };
    } catch {
      // An invalid percent-encoding: show the overview.
    }
  }
  return { view: hash === HELP_HREF ? 'help' : 'overview' };
}

export function skillHref(skillName: string): string {
  return SKILL + encodeURIComponent(skillName);
}
