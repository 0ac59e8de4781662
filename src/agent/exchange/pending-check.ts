/*
 * The check of one request by an external authorizer: sees to the part of the body that the authorizer wants, asks it, and
 * hands back what the judge makes of the answer. In: check verdicts, the client's bytes as they are held back. Out: the next
 * verdict. One per client connection, begun anew for each check.
 */
import { type CheckResponse, checkFailed } from '../../filters/check-response.ts';
import type { CheckVerdict, Verdict } from '../../filters/verdict.ts';
import type { Authorizer, CheckBody } from '../context.ts';
import type { BodyFraming } from '../http1/framing.ts';
import type { HeldInput } from '../net/paused-input.ts';
import { BodyPreview, previewBytes } from './body-preview.ts';

/** `more`: bytes of the body are needed first; `asked`: an answer will come; `bad`: the body is malformed. */
export type CheckState = 'more' | 'asked' | 'bad';

const NOBODY_TO_ASK: CheckResponse = checkFailed(403);

export class PendingCheck {
  readonly #authorizer: Authorizer;
  readonly #input: HeldInput;
  readonly #onVerdict: (verdict: Verdict) => void;
  #verdict: CheckVerdict | undefined;
  #preview: BodyPreview | undefined;
  #asked: AbortController | undefined;

  /**
   * @param input holds what came behind the request's head
   * @param onVerdict is called once per check, never during `begin` or `look`, and not after `abort`
   */
  constructor(authorizer: Authorizer | undefined, input: HeldInput, onVerdict: (verdict: Verdict) => void) {
    this.#authorizer = authorizer ?? (() => Promise.resolve(NOBODY_TO_ASK));
    this.#input = input;
    this.#onVerdict = onVerdict;
  }

  /** Begins with what is already here of the body. */
  begin(verdict: CheckVerdict, framing: BodyFraming): CheckState {
    this.#verdict = verdict;
    const wanted = framing === 0 ? 0 : previewBytes(verdict);
    if (wanted === 0) return this.#ask(verdict, undefined);
    this.#preview = new BodyPreview(framing, wanted);
    let state: CheckState = 'more';
    for (const part of this.#input.parts) if (state === 'more') state = this.look(part);
    if (state === 'more') this.#input.resume();
    return state;
  }

  /** Looks at more of the body; after `more` only. */
  look(bytes: Buffer): CheckState {
    const preview = this.#preview;
    if (preview === undefined || this.#verdict === undefined) return 'asked';
    const state = preview.read(bytes);
    return state === 'enough' ? this.#ask(this.#verdict, preview.body()) : state;
  }

  /** Forgets the check; the authorizer's answer no longer counts. */
  abort(): void {
    const asked = this.#asked;
    this.#clear();
    asked?.abort();
  }

  #ask(verdict: CheckVerdict, body: CheckBody | undefined): CheckState {
    const asked = new AbortController();
    this.#preview = undefined;
    this.#asked = asked;
    void this.#authorizer(verdict, body, asked.signal)
      .catch(() => NOBODY_TO_ASK)
      .then((answer) => {
        if (this.#asked !== asked) return;
        this.#clear();
        this.#onVerdict(verdict.resume(answer));
      });
    return 'asked';
  }

  #clear(): void {
    this.#verdict = undefined;
    this.#preview = undefined;
    this.#asked = undefined;
  }
}
