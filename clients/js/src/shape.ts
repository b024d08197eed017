// What an answer of the HTTP API must have, so that one of something in between is told here and not in a program's views.

export type Shape = 'string' | 'number' | 'boolean' | readonly [Shape] | { readonly [member: string]: Shape };

const SKILL: Shape = {
  skill_name: 'string',
  window: { invocation_count: 'number', completed_count: 'number' },
  lifetime: { total_invocations: 'number', completed_invocations: 'number' },
  anomalies: [{ anomaly_type: 'string' }],
};

/** By the path under /api/v1: what a view cannot do without, and no more, as servers differ in age. */
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
  sessions: { total: 'number', sessions: [{ session_id: 'string', last_activity_at: 'string' }] },
} as const satisfies Record<string, Shape>;

/** Where `value` is not of this shape, as a path such as `skills[0].window`; null where it is. */
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
