// Asks for the note of an acknowledgement, or for how long to mute a skill and why.
import { useEffect, useRef, useState } from 'preact/hooks';
import { acknowledge, ask, dialog, mute, type Question } from '../data/alerts.ts';
import { useStore } from '../data/store.ts';
import { plainName } from '../names.ts';
import { announce, focusAlerts } from './announcements.tsx';
import { Name, Problem } from './ui.tsx';
import './alert-dialog.css';

/** Seconds; null until the mute is removed. */
const LENGTHS: readonly (readonly [label: string, seconds: number | null])[] = [
  ['1 hour', 3600],
  ['1 day', 86_400],
  ['1 week', 604_800],
  ['until removed', null],
];
const DEFAULT_LENGTH = 86_400;
/** Characters; the server accepts 500 bytes. */
const MAX_TEXT = 500;

function Form({ question }: { question: Question }) {
  const [text, setText] = useState('');
  const [seconds, setSeconds] = useState<number | null>(DEFAULT_LENGTH);
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const { skillName } = question;
  const muting = question.what === 'mute';
  const submit = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      if (question.what === 'mute') await mute(skillName, seconds, text.trim());
      else await acknowledge(question.id, text.trim());
      announce(`${plainName(skillName)} is ${muting ? 'muted' : 'acknowledged'}.`);
      ask(null);
    } catch (failure) {
      setError(failure as Error);
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2 id="alert-dialog-title">
        {muting ? 'Mute ' : 'Acknowledge the alert of '}
        <Name name={skillName} />
      </h2>
      <p>
        {muting
          ? 'Its alerts are still detected and listed, but do not interrupt.'
          : 'It stays listed until it ends, but is no longer shown as a problem.'}
      </p>
      {muting && (
        <fieldset class="segmented">
          <legend class="visually-hidden">For how long</legend>
          {LENGTHS.map(([label, length]) => (
            <label key={label}>
              <input type="radio" name="length" checked={length === seconds} onChange={() => setSeconds(length)} />
              <span>{label}</span>
            </label>
          ))}
        </fieldset>
      )}
      <label class="field">
        <span>{muting ? 'Reason' : 'Note'} (optional)</span>
        <input
          value={text}
          maxLength={MAX_TEXT}
          autoComplete="off"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      {error && <Problem what={muting ? 'Not muted:' : 'Not acknowledged:'} error={error} alert />}
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={() => ask(null)}>
          Cancel
        </button>
        <button type="submit" class="button button-primary" aria-disabled={busy}>
          {muting ? 'Mute' : 'Acknowledge'}
        </button>
      </div>
    </form>
  );
}

export function AlertDialog() {
  const question = useStore(dialog, (state) => state.question);
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const { current } = element;
    if (!current || current.open === (question !== null)) return;
    if (question) {
      current.showModal();
    } else {
      current.close();
      focusAlerts();
    }
  }, [question]);
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby="alert-dialog-title"
      onClose={() => ask(null)}
      data-testid="alert-dialog"
    >
      {question && <Form question={question} />}
    </dialog>
  );
}
