// The frame around the views, and the choice between them.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Skill } from 'session-buddy-client';
import { api, applyServerInfo, forgetToken, live } from './data/live.ts';
import { useNow } from './data/now.ts';
import { usePoll } from './data/poll.ts';
import { useStore } from './data/store.ts';
import { moment, span } from './format.ts';
import { plainName } from './names.ts';
import { parseRoute, type Route } from './route.ts';
import { Anomalies } from './views/anomalies.tsx';
import { Empty } from './views/empty.tsx';
import { Episodes } from './views/episodes.tsx';
import { Banner, Header } from './views/header.tsx';
import { Notices } from './views/notices.tsx';
import { Sessions } from './views/sessions.tsx';
import { SkillPage } from './views/skill.tsx';
import { Skills } from './views/skills.tsx';
import { Summary } from './views/summary.tsx';
import { TokenDialog } from './views/token-dialog.tsx';
import { Name } from './views/ui.tsx';

const TITLE = 'Session Buddy';

function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(location.hash));
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);
  return route;
}

/** Milliseconds that the page waits for its first figures before it shows itself without. */
const RENDER_DELAY = 700;

/** Whether to draw: with the first figures, so that nothing has to make way for them, or without when they do not come. */
function useReady(): boolean {
  const known = useStore(live, (state) => state.update !== null || state.tokenRequired !== null);
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), RENDER_DELAY);
    return () => clearTimeout(timer);
  }, []);
  return known || late;
}

function Overview() {
  // Nothing in the window, and nothing before it either.
  const empty = useStore(
    live,
    (state) => state.update !== null && state.update.data.top_skills.length === 0 && state.server?.skills === 0,
  );
  return (
    <>
      <h1 class="visually-hidden" tabIndex={-1}>
        Overview
      </h1>
      {empty ? (
        <Empty />
      ) : (
        <div class="overview">
          <Summary />
          <div class="overview-main">
            <Anomalies />
            <Skills />
          </div>
          <div class="overview-side">
            <Sessions />
            <Episodes />
          </div>
        </div>
      )}
    </>
  );
}

function Footer() {
  const server = useStore(live, (state) => state.server);
  const hasToken = useStore(live, (state) => state.hasToken);
  const now = useNow();
  const started = moment(server?.started_at);
  return (
    <footer class="footer">
      {server && (
        <span>
          Session Buddy {server.version}
          {started !== null && ` · up ${span((now - started) / 1000)}`} · figures of {span(server.window_seconds)}, anew
          every {server.update_interval_seconds} s · anomalies from {server.anomaly_threshold} σ
        </span>
      )}
      {server?.database.path !== undefined && (
        <span class="footer-path">
          Database <Name name={server.database.path} />
        </span>
      )}
      <a href="assets/licenses.txt">Licences</a>
      {hasToken && (
        <button type="button" class="link-button" onClick={forgetToken}>
          Forget the token
        </button>
      )}
    </footer>
  );
}

/** Milliseconds between two looks at the server while nothing changes, and while its figures do. */
const SERVER_INTERVAL = 5000;
const SERVER_MIN_INTERVAL = 1000;

function useLiveSum(count: (skill: Skill) => number): number {
  return useStore(live, ({ update }) => (update?.data.top_skills ?? []).reduce((sum, skill) => sum + count(skill), 0));
}

/** Keeps the sums over all skills in step with the figures of each, which come by themselves. */
function useServerInfo(): void {
  const {
    data: server,
    error,
    refresh,
  } = usePoll('server', (signal) => api.server({ signal }), SERVER_INTERVAL, SERVER_MIN_INTERVAL);
  useEffect(() => {
    if (server) applyServerInfo(server);
  }, [server]);
  useEffect(() => live.set({ serverError: error }), [error]);
  const runs = useLiveSum((skill) => skill.invocation_count);
  const completed = useLiveSum((skill) => skill.completed_count);
  // A connection that breaks raises the question whether the server is still there.
  const connection = useStore(live, (state) => state.connection.status);
  useEffect(refresh, [runs, completed, connection, refresh]);
}

export function App() {
  const route = useRoute();
  const ready = useReady();
  const main = useRef<HTMLElement>(null);
  const mounted = useRef(false);
  useServerInfo();

  const view = route.view === 'skill' ? `skill ${route.skillName}` : 'overview';
  // Another view: it gets its title, the focus goes to its heading and the page back to its top.
  useEffect(() => {
    document.title = route.view === 'skill' ? `${plainName(route.skillName)} · ${TITLE}` : TITLE;
    if (mounted.current) {
      window.scrollTo(0, 0);
      main.current?.querySelector('h1')?.focus({ preventScroll: true });
    }
    mounted.current = true;
  }, [view]);

  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it is a link to a place on the page, but the hash is taken */}
      <a
        class="skip-link"
        href="#main"
        onClick={(event) => {
          // The hash is the route; the focus can go without it.
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the figures
      </a>
      <Header />
      <main id="main" ref={main} tabIndex={-1} aria-busy={!ready}>
        {ready && (
          <>
            <Banner />
            {route.view === 'skill' ? <SkillPage key={route.skillName} skillName={route.skillName} /> : <Overview />}
          </>
        )}
      </main>
      <Footer />
      <Notices />
      <TokenDialog />
    </>
  );
}
