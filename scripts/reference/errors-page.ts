/*
 * docs/reference/errors.md from the table of codes in src/errors.ts.
 */
import { describeErrorCode, ERROR_CODES, type ErrorCode, type ErrorFamily } from '../../src/errors.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

const FAMILIES: Readonly<Record<ErrorFamily, { readonly title: string; readonly text: string }>> = {
  finding: {
    title: 'Findings on your objects',
    text: 'In the conditions of a policy, in events, in answers of the webhook and in the output of `sallyport check`. A finding of severity `error`\nrefuses the object, one of severity `warning` is only told, and one of severity `info` may well be meant so.',
  },
  bundle: {
    title: 'Bundles that an agent refuses',
    text: 'In the log of the agent and in `sallyport_agent_bundle_refused_total`. The last good bundle stays in force.',
  },
  fault: {
    title: 'Faults of a process',
    text: 'In the field `code` of log lines. What a retry may mend is tried again with a growing delay.',
  },
};

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
