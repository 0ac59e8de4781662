/* Generates docs/reference/conditions.md from the table of conditions in src/status/condition-reasons.ts. */
import { CONDITION_REASONS, type ConditionReason } from '../../src/status/condition-reasons.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';

/** The page in Markdown. */
export function conditionsPage(): string {
  const sections = Object.entries(CONDITION_REASONS).map(([type, { text, reasons }]) => {
    const rows = Object.entries<ConditionReason>(reasons).map(([reason, { status, meaning, isWarned }]) => [
      code(reason),
      status,
      isWarned ? 'Warning' : '',
      meaning,
    ]);
    return `\n## ${type}\n\n${text}\n\n${markdownTable(['reason', 'status', 'event', 'meaning'], rows)}`;
  });
  return [
    GENERATED,
    '# Conditions of policies\n\n',
    'In `status.conditions` of both kinds, next to those of other controllers. `observedGeneration` of each is the version that it is about:\n',
    '`kubectl wait --for=condition=Ready ap/NAME`. A reason never changes its meaning. Source: `src/status/condition-reasons.ts`.\n',
    ...sections,
  ].join('');
}
