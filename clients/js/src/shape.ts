// The fields that a response of the HTTP API must have: detects responses of other programs, such as a proxy, early.

export type Shape = 'string' | 'number' | 'boolean' | readonly [Shape] | { readonly [member: string]: Shape };

const METRICS: Shape & object = {
  window: { invocation_count: 'number', completed_count: 'number' },
  lifetime: { total_invocations: 'number', completed_invocations: 'number' },
};
const SKILL: Shape = {
  skill_name: 'string',
  ...METRICS,
  anomalies: [{ anomaly_type: 'string' }],
};

const ALERT: Shape = { skill_name: 'string', kind: 'string', detected_at: 'string' };
const MUTE: Shape = { skill_name: 'string', muted_at: 'string' };

/** Of the answers to commands. */
export const ANSWERS = { alert: ALERT, mute: MUTE, removed: { removed: 'boolean' } } as const satisfies Record<
  string,
  Shape
>;

/** Required fields by path under /api/v1; only the essential ones, as server versions differ. */
export const SHAPES = {
  server: {
    version: 'string',
    started_at: 'string',
    update_interval_seconds: 'number',
    window_seconds: 'number',
    anomaly_threshold: 'number',
    database: { readable: 'boolean' },
    skills: 'number',
  },
  skills: { total: 'number', limit: 'number', offset: 'number', skills: [SKILL] },
  groups: {
    total: 'number',
    limit: 'number',
    offset: 'number',
    groups: [{ group: 'string', skill_count: 'number', ...METRICS }],
  },
  skill: {
    ...SKILL,
    errors: [{ error_type: 'string', count: 'number' }],
    phases: [{ invocation_count: 'number', completed_count: 'number' }],
  },
  series: {
    from: 'string',
    to: 'string',
    step_seconds: 'number',
    points: [{ at: 'string', invocation_count: 'number', completed_count: 'number' }],
  },
  anomalies: { total: 'number', anomalies: [{ skill_name: 'string', anomaly_type: 'string', detected_at: 'string' }] },
  alerts: { total: 'number', budget: 'string', alerts: [ALERT], mutes: [MUTE] },
  sessions: { total: 'number', sessions: [{ session_id: 'string', last_activity_at: 'string' }] },
} as const satisfies Record<string, Shape>;

/** The path of the first mismatch between `value` and `shape`, such as `skills[0].window`; null if it matches. */
export function findMismatch(value: unknown, shape: Shape, path = ''): string | null {
  if (typeof shape === 'string') return typeof value === shape ? null : path;
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return path;
    for (const [index, item] of value.entries()) {
      const found = findMismatch(item, shape[0], `${path}[${index}]`);
      if (found !== null) return found;
    }
    return null;
  }
  if (typeof value !== 'object' || value === null) return path;
  for (const [member, inner] of Object.entries(shape)) {
    const found = findMismatch((value as Record<string, unknown>)[member], inner, path ? `${path}.${member}` : member);
    if (found !== null) return found;
  }
  return null;
}
