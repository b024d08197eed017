import { mergeConfig } from 'vite';

import config from './vite.config.mjs';

export default mergeConfig(config, {
  test: {
    include: ['test/*.test.ts'],
    // A time zone that differs from UTC by a fraction of an hour, so that time zone errors show.
    env: { TZ: 'Asia/Kolkata' },
  },
});
