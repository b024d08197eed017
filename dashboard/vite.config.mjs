// The page becomes a few files with fixed names: the server has them in its binary and serves them with ETags.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// Of `npm run dev`: where the figures come from.
const server = process.env.SESSION_BUDDY_URL ?? 'http://localhost:8765';

export default defineConfig({
  // Relative, for a server that a proxy puts under a path.
  base: './',
  resolve: {
    alias: { 'session-buddy-client': fileURLToPath(new URL('../clients/js/src/index.ts', import.meta.url)) },
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    // Those of what is bundled, which they ask to be passed on.
    license: { fileName: 'assets/licenses.txt' },
    rolldownOptions: {
      output: {
        entryFileNames: 'assets/app.js',
        assetFileNames: 'assets/app[extname]',
        codeSplitting: false,
      },
    },
  },
  server: {
    proxy: {
      '/api': { target: server, changeOrigin: true },
      '/ws': { target: server, changeOrigin: true, ws: true },
    },
  },
});
