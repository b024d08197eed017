import { mergeConfig } from 'vite';

import config from './vite.config.mjs';

export default mergeConfig(config, {
  test: {
    include: ['test/*.test.ts'],
    // Not UTC, nor by whole hours: so that what forgets the zone shows.
    env: { TZ: 'Asia/Kolkata' },
  },
});
