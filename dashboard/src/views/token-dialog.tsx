// Asks for a token if the server requires authentication. The token is stored for this tab only and never put into a URL.
import { useEffect, useRef, useState } from 'preact/hooks';
import { live, setToken, showTokenDialog } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { Icon } from './ui.tsx';
import './token-dialog.css';

export function TokenDialog() {
  const reason = useStore(live, (state) => state.tokenRequired);
  const had = useStore(live, (state) => state.hasToken);
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const open = useStore(live, (state) => state.tokenRequired !== null && state.tokenDialogOpen);

  // The close event arrives later, when the dialog may have to be open again.
  const closing = useRef(false);
  useEffect(() => {
    const { current } = dialog;
    if (!current || current.open === open) return;
    if (open) {
      current.showModal();
    } else {
      closing.current = true;
      current.close();
    }
  }, [open]);

  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="token-title"
      onClose={() => {
        // Escape closes the dialog, so that it is no keyboard trap. A button in the header reopens it.
        if (!closing.current) showTokenDialog(false);
        closing.current = false;
      }}
      data-testid="token-dialog"
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const entered = text.trim();
          if (!entered) return;
          setText('');
          setToken(entered);
        }}
      >
        <h2 id="token-title">
          <Icon name="key" /> This server requires a token
        </h2>
        <p>
          Enter a token from the file given with <code>--auth-token-file</code>, or a JSON Web Token, with the scope{' '}
          <code>read</code>.
        </p>
        {had && reason && (
          <p class="problem" role="alert">
            <Icon name="warning" />
            <span>{reason}</span>
          </p>
        )}
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            autoComplete="off"
            spellcheck={false}
            maxLength={8192}
            required
          />
        </label>
        <p class="quiet">Stored in this tab until it is closed.</p>
        <div class="dialog-buttons">
          <button type="submit" class="button button-primary">
            Connect
          </button>
        </div>
      </form>
    </dialog>
  );
}
