// What the metrics mean: the page at #/help, the texts of tooltips, and the links to it.
import type { ComponentChildren } from 'preact';
import { count } from '../format.ts';
import { type Outcomes, outcomeText } from '../outcomes.ts';
import { HELP_HREF } from '../route.ts';
import { Icon } from './ui.tsx';
import './help.css';

export const HELP_TITLE = 'About the metrics';

export const UNKNOWN_MEANING =
  'It is not known whether these invocations completed or failed, for example because a pipe hides the exit status. ' +
  'The success rate leaves them out.';
export const BOUNDS_MEANING =
  'Upper bounds: no duration was measured, only the time from call to result, which can include a wait for approval. ' +
  'Median and 95th percentile are shown instead of the mean.';

/** A link to the page, with the explanation as tooltip. */
export function HelpLink({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <a class="help-link" href={HELP_HREF} title={title}>
      {children}
    </a>
  );
}

/** Such as "3 failed, 2 unknown". */
export function OutcomeCounts({ outcomes: { failed, unknown } }: { outcomes: Outcomes }) {
  return (
    <>
      {outcomeText({ failed, unknown: 0 })}
      {unknown > 0 && (
        <>
          , <HelpLink title={UNKNOWN_MEANING}>{count(unknown)} unknown</HelpLink>
        </>
      )}
    </>
  );
}

export function Help() {
  return (
    <div class="help">
      <p class="back">
        <a href="#/">
          <Icon name="back" /> All skills
        </a>
      </p>
      <h1 tabIndex={-1}>{HELP_TITLE}</h1>
      <section class="panel" aria-labelledby="help-alerts">
        <h2 id="help-alerts">Alerts</h2>
        <p>
          An alert says that the success rate or the duration of a skill has changed. The option{' '}
          <code>alert_budget</code> is the number of false alerts that you accept, of all skills together, while nothing
          changes. “By chance once in 40 weeks” means: without a change, evidence as strong as this would occur once in
          40 weeks.
        </p>
        <p>
          An alert ends when the values are those of before again, or when the change has lasted so long that it is the
          new baseline. A change for the better is reported once. An acknowledged alert stays listed until it ends, but
          is no longer shown as a problem; the alerts of a muted skill are listed, but do not interrupt.
        </p>
        <p>
          A grey mark in the table is a deviation: the latest invocations of a skill differ from its baseline by at
          least the threshold at the bottom of the page. With many skills, deviations often occur by chance.
        </p>
      </section>
      <section class="panel" aria-labelledby="help-unknown">
        <h2 id="help-unknown">Unknown outcomes</h2>
        <p>
          An invocation completed, failed, or its outcome is unknown. It is unknown if the shell command hides the exit
          status of the tool, as <code>pytest | tail</code> or <code>pytest || true</code> does, and the output has no
          line that says how the tool ended; or if the agent never reported the end.
        </p>
        <p>
          Success rates, their 95 % intervals, alerts and deviations are of known outcomes only. The number of unknown
          ones is shown next to them; a skill without a known outcome has no rate. Later evidence, such as an imported
          transcript, can make an unknown outcome known.
        </p>
      </section>
      <section class="panel" aria-labelledby="help-durations">
        <h2 id="help-durations">Durations</h2>
        <p>
          Durations are of completed invocations in the window. The median is the duration that half of them do not
          exceed, the 95th percentile (p95) the one that 95 % do not exceed. A few very long invocations raise the mean,
          but not the median.
        </p>
        <p>
          A duration is measured if the agent reported it. Transcripts often have only the time from call to result,
          which can include a wait for approval or for other calls: an upper bound, shown with ≤. Bounds are left out
          where a skill has measured durations. Where it has none, the median and the 95th percentile of the bounds are
          shown instead of the mean, because single long waits dominate a mean.
        </p>
        <p>The mean of the lifetime includes upper bounds.</p>
      </section>
      <section class="panel" aria-labelledby="help-servers">
        <h2 id="help-servers">MCP servers</h2>
        <p>
          The filter “MCP servers” sums the skills <code>mcp__server__tool</code> by server. Expand a server to see its
          tools. A server is not a skill: it has no alerts and no history of its tools together.
        </p>
      </section>
    </div>
  );
}
