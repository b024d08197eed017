// Public exports of the package.
export * from './api.js';
export type * from './api-types.js';
export * from './client.js';
export * from './errors.js';
export type * from './messages.js';
export type { BoundedStream } from './stream.js';
