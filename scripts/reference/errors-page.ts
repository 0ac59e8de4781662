/* Generates docs/reference/errors.md from the table of error codes in src/errors.ts. */
import { describeErrorCode, ERROR_CODES, type ErrorCode, type ErrorFamily } from '../../src/errors.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

const FAMILIES: Readonly<Record<ErrorFamily, { readonly title: string; readonly text: string }>> = {
  finding: {
    title: 'Findings on your objects',
    text: 'Reported in the conditions of a policy, in events, in responses of the webhook and in the output of `sallyport check`. A finding of\nseverity `error` rejects the object, a `warning` is only reported, and what an `info` describes may be intended.',
  },
  bundle: {
    title: 'Bundles that an agent rejects',
    text: 'Reported in the log of the agent and counted in `sallyport_agent_bundle_refused_total`. The last good bundle stays active.',
  },
  fault: {
    title: 'Errors of a process',
    text: 'Reported in the field `code` of log lines. Transient errors are retried with a growing delay.',
  },
};

/** The page in Markdown. */
export function errorsPage(): string {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const sections = (Object.keys(FAMILIES) as ErrorFamily[]).map((family) => {
    const rows = codes
      .filter((name) => describeErrorCode(name).family === family)
      .map((name) => [`<a id="${name.toLowerCase()}"></a>${code(name)}`, describeErrorCode(name).text]);
    return `\n## ${FAMILIES[family].title}\n\n${FAMILIES[family].text}\n\n${markdownTable(['code', 'meaning'], rows)}`;
  });
  return `${GENERATED}# Error codes\n\nA code never changes its meaning. Source: \`src/errors.ts\`.\n${sections.join('')}`;
}
