// Builds a few files with fixed names: the server embeds them in its binary and serves them with ETags.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// The server that `npm run dev` proxies to.
const server = process.env.SESSION_BUDDY_URL ?? 'http://localhost:8765';

export default defineConfig({
  // Relative, for a server below a path of a reverse proxy.
  base: './',
  resolve: {
    alias: { 'session-buddy-client': fileURLToPath(new URL('../clients/js/src/index.ts', import.meta.url)) },
  },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    // The licences of bundled packages, which require that they are included.
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
