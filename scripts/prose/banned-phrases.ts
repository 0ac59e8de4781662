/*
 * Words that this project does not use in prose, each with what to write instead. CONTRIBUTING.md has the rule behind them:
 * the field's term, subject and verb, no metaphors. Text inside backticks is never checked, so names keep their spelling.
 */

/** A phrase that prose must not contain. */
export interface BannedPhrase {
  /** Matched at word boundaries; groups do not capture. */
  readonly pattern: string;
  /** Matched with its case. */
  readonly isExact: boolean;
  /** What to write instead, in the words of the finding. */
  readonly instead: string;
}

const rows: readonly (readonly [pattern: string, instead: string])[] = [
  // Who does what: name the actor.
  ['told|tells?|telling', 'reports, logs, returns, notifies, distinguishes'],
  ['nobody|no one', 'name the actor: no client, no controller'],
  ['somebody|someone|somebody else', 'name the actor: a user, another controller'],
  ['whoever|whomever|whosoever', 'name the actor'],
  ['asker|askers', 'client'],
  ['keepers?', 'cache, rotator, or the name of the class'],
  ['touchers?', 'kubelet resync'],
  // Verbs and adverbs of the old dialect.
  ['mend|mends|mended|mending', 'fix, repair, retry'],
  ['anew', 'again'],
  ['hardly', 'rarely, almost never, or the figure'],
  ['thereby', 'so, by this'],
  ['beside', 'next to'],
  ['meant', 'intended, written for'],
  ['judges?|judged|judging|judgements?', 'evaluates, decision, filter chain'],
  ['obeys?|obeyed|obeying', 'applies, follows'],
  ['consults?|consulted|consulting', 'calls, asks for a decision'],
  ['gets around|get around|got around', 'bypasses'],
  ['passed over', 'skipped, ignored'],
  ['made up|make up|makes up|made-up', 'generated, invented, is made of'],
  ['freezes|froze|frozen', 'immutable'],
  ['dwells?|lest|whence|whither|wherefrom|whereof|hitherto|thereof|therein|hereby', 'plain words'],
  // Phrases.
  ['at once', 'immediately, or: at the same time'],
  ['so many', 'N, at most N'],
  ['is none|are none|was none|were none', 'has no X, is not an X'],
  ['of its own|of our own|of their own|of his own', 'own, separate'],
  ['a word of|words of its', 'part of, a field of'],
  // The agent's 503 replies contain these two sentences, and clients may depend on their bytes.
  ['(?<!no policy |no policy bundle )in force', 'active'],
  ['be it', 'whether'],
  ['the very', 'the same, exactly the'],
  ['such a|such an', 'a X like this, this X'],
  ['look-up of|look-ups of', 'lookup of'],
  ['as it is now|as is now', 'current'],
  ['for want of', 'because X is missing'],
  ['for ever', 'forever, indefinitely'],
  ['save for', 'except'],
  // Metaphors.
  ['rooms?', 'package, layer, space'],
  ['houses?|housed', 'project, package'],
  ['doors?', 'entry point'],
  ['courts?', 'request context'],
  ['trials?', 'evaluation, attempt'],
  ['worlds?', 'cluster state'],
  ['publications?', 'ledger, published bundles'],
  ['sieves?|sieved', 'bitmap intersection'],
  ['strangers?|strange keys?', 'unmanaged keys, name conflict'],
  ['linger|lingers|lingered', 'lingering close, stays open'],
  // The field's term.
  ['octets?', 'byte'],
  ['folders?', 'directory'],
];

/** Parts of the former style of file headers, which listed input, output and callers; they are matched with their case. */
const HEADER_PARTS: readonly (readonly [pattern: string, instead: string])[] = [
  ['(?:In|Out):(?= [a-z])', 'a sentence about what the file does'],
  ['Called by', 'the reason, if the caller matters'],
];

/** All banned phrases, in the order of the list that CONTRIBUTING.md points to. */
export const BANNED_PHRASES: readonly BannedPhrase[] = [
  ...rows.map(([pattern, instead]) => ({ pattern, instead, isExact: false })),
  ...HEADER_PARTS.map(([pattern, instead]) => ({ pattern, instead, isExact: true })),
];
