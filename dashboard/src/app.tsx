// The page layout and the selection of the view.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Skill } from 'session-buddy-client';
import { listIn, useAlertList } from './data/alerts.ts';
import { api, applyServerInfo, forgetToken, live } from './data/live.ts';
import { useNow } from './data/now.ts';
import { usePoll } from './data/poll.ts';
import { useStore } from './data/store.ts';
import { moment, span } from './format.ts';
import { plainName } from './names.ts';
import { HELP_HREF, parseRoute, type Route } from './route.ts';
import { AlertDialog } from './views/alert-dialog.tsx';
import { LatestChanges } from './views/alert-list.tsx';
import { Alerts } from './views/alerts.tsx';
import { Announcements } from './views/announcements.tsx';
import { Empty } from './views/empty.tsx';
import { Banner, Header } from './views/header.tsx';
import { HELP_TITLE, Help } from './views/help.tsx';
import { Notices } from './views/notices.tsx';
import { Sessions } from './views/sessions.tsx';
import { SkillPage } from './views/skill.tsx';
import { Skills } from './views/skills.tsx';
import { Summary } from './views/summary.tsx';
import { TokenDialog } from './views/token-dialog.tsx';
import { Name } from './views/ui.tsx';
import './app.css';

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

/** Milliseconds to wait for the first data before the page renders without it. */
const RENDER_DELAY = 700;

/** Whether to render: with the first data, which avoids a layout shift, or without it after RENDER_DELAY. */
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
  // The window is empty, and there are no older invocations.
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
            <Alerts />
            <Skills />
          </div>
          <div class="overview-side">
            <Sessions />
            <LatestChanges />
          </div>
        </div>
      )}
    </>
  );
}

function Footer() {
  const server = useStore(live, (state) => state.server);
  const budget = useStore(live, (state) => listIn(state)?.budget);
  const hasToken = useStore(live, (state) => state.hasToken);
  const now = useNow();
  const started = moment(server?.started_at);
  return (
    <footer class="footer">
      {server && (
        <span>
          Session Buddy {server.version}
          {started !== null && ` · up ${span((now - started) / 1000)}`} · window {span(server.window_seconds)} · updated
          every {server.update_interval_seconds} s{budget !== undefined && ` · alert budget ${budget}`} · deviations
          from {server.anomaly_threshold} σ
        </span>
      )}
      {server?.database.path !== undefined && (
        <span class="wrapped">
          Database <Name name={server.database.path} />
        </span>
      )}
      <a href={HELP_HREF}>{HELP_TITLE}</a>
      <a href="assets/licenses.txt">Licences</a>
      {hasToken && (
        <button type="button" class="link-button" onClick={forgetToken}>
          Remove the token
        </button>
      )}
    </footer>
  );
}

/** Polling interval of the server info while nothing changes, and the minimum interval while metrics change, in ms. */
const SERVER_INTERVAL = 5000;
const SERVER_MIN_INTERVAL = 1000;

function useLiveSum(count: (skill: Skill) => number): number {
  return useStore(live, ({ update }) => (update?.data.top_skills ?? []).reduce((sum, skill) => sum + count(skill), 0));
}

/** Polls the totals over all skills again when live metrics of a skill change. */
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
  const unknown = useLiveSum((skill) => skill.unknown_count ?? 0);
  // A change of the connection state also triggers a poll, to find out whether the server still responds.
  const connection = useStore(live, (state) => state.connection.status);
  useEffect(refresh, [runs, completed, unknown, connection, refresh]);
}

function titleOf(route: Route): string {
  if (route.view === 'overview') return TITLE;
  return `${route.view === 'skill' ? plainName(route.skillName) : HELP_TITLE} · ${TITLE}`;
}

function View({ route }: { route: Route }) {
  if (route.view === 'skill') return <SkillPage key={route.skillName} skillName={route.skillName} />;
  return route.view === 'help' ? <Help /> : <Overview />;
}

export function App() {
  const route = useRoute();
  const ready = useReady();
  const main = useRef<HTMLElement>(null);
  const mounted = useRef(false);
  useServerInfo();
  useAlertList();

  const view = route.view === 'skill' ? `skill ${route.skillName}` : route.view;
  // On a change of the view: set the title, focus the heading and scroll to the top.
  useEffect(() => {
    document.title = titleOf(route);
    if (mounted.current) {
      window.scrollTo(0, 0);
      main.current?.querySelector('h1')?.focus({ preventScroll: true });
    }
    mounted.current = true;
  }, [view]);

  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: a link within the page, but the fragment is used for routing */}
      <a
        class="skip-link"
        href="#main"
        onClick={(event) => {
          // The fragment is the route, so set the focus directly.
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to main content
      </a>
      <Header />
      <main id="main" ref={main} tabIndex={-1} aria-busy={!ready}>
        {ready && (
          <>
            <Banner />
            <View route={route} />
          </>
        )}
      </main>
      <Footer />
      <Announcements />
      <Notices />
      <AlertDialog />
      <TokenDialog />
    </>
  );
}
