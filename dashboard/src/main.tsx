// Entry point.
// First, so that the styles of the views override it.
import './base.css';
import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './data/live.ts';
import './theme.ts';

start();
const root = document.getElementById('app');
if (root) render(<App />, root);
