// Asks for the token where the server wants one. It is kept for this tab alone, and never becomes part of an address.
import { useEffect, useRef, useState } from 'preact/hooks';
import { live, setToken, showTokenDialog } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { Icon } from './ui.tsx';

export function TokenDialog() {
  const reason = useStore(live, (state) => state.tokenRequired);
  const had = useStore(live, (state) => state.hasToken);
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('');
  const open = useStore(live, (state) => state.tokenRequired !== null && state.tokenDialogOpen);

  // Its event comes later, when the dialog may be wanted again.
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
        // Escape closes it: it must keep nobody. The header opens it again.
        if (!closing.current) showTokenDialog(false);
        closing.current = false;
      }}
      data-testid="token-dialog"
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const given = text.trim();
          if (!given) return;
          setText('');
          setToken(given);
        }}
      >
        <h2 id="token-title">
          <Icon name="key" /> This server asks for a token
        </h2>
        <p>
          It is one of those in the file of <code>--auth-token-file</code>, or a JSON Web Token, with the scope to read.
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
        <p class="quiet">Kept in this tab until it is closed.</p>
        <div class="dialog-buttons">
          <button type="submit" class="button button-primary">
            Connect
          </button>
        </div>
      </form>
    </dialog>
  );
}
