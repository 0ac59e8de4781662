/*
 * `sallyport controller` and `sallyport agent`: run the long-running processes. Their flags are passed on unparsed; the entry
 * point wires what they do.
 */
import type { Command } from 'commander';
import type { AgentSetting } from '../../config/agent.ts';
import { AGENT_SETTINGS } from '../../config/agent.ts';
import { AGENT_REFERENCE } from '../../config/agent-reference.ts';
import { CONTROLLER_SETTINGS } from '../../config/controller.ts';
import type { CommandHost, RunProcess } from '../context/command-context.ts';

/** Adds `controller` to the program. */
export function addControllerCommand(program: Command, host: CommandHost): void {
  const run = host.context.processes.controller;
  addProcessCommand(program, host, {
    name: 'controller',
    summary: 'run the controller',
    subject: 'the controller',
    run,
    flags: CONTROLLER_FLAGS,
  });
}

/** Adds `agent` to the program. */
export function addAgentCommand(program: Command, host: CommandHost): void {
  const run = host.context.processes.agent;
  addProcessCommand(program, host, { name: 'agent', summary: 'run one agent', subject: 'an agent', run, flags: AGENT_FLAGS });
}

interface LongRunning {
  readonly name: string;
  readonly summary: string;
  /** With its article. */
  readonly subject: string;
  readonly run: RunProcess;
  /** Name and meaning of each flag. */
  readonly flags: readonly (readonly [name: string, text: string])[];
}

const CONTROLLER_FLAGS = [
  ['config', 'configuration file; every flag takes precedence over it'] as const,
  ...CONTROLLER_SETTINGS.map(([path, flag, variable]) => [flag, `${path} of the configuration, or $${variable}`] as const),
];
const AGENT_FLAGS = (Object.keys(AGENT_REFERENCE) as AgentSetting[]).map(
  (flag) =>
    [flag, `${AGENT_REFERENCE[flag].description} $${AGENT_SETTINGS[flag]}; default: ${AGENT_REFERENCE[flag].fallback || 'none'}`] as const,
);

function addProcessCommand(
  program: Command,
  { context, finish }: CommandHost,
  { name, summary, subject, run, flags: shown }: LongRunning,
): void {
  const width = Math.max(...shown.map(([flag]) => flag.length));
  const flagLines = shown.map(([flag, text]) => `  --${flag.padEnd(width)}  ${text}\n`).join('');
  program
    .command(name)
    .summary(summary)
    .description(`Runs ${subject} in the foreground until SIGTERM. Flags and environment variables: docs/reference/configuration.md.`)
    .argument('[flags...]', `flags of the ${name}`)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText('after', () => `\nFlags:\n${flagLines}`)
    .action(async (flags: string[]) => finish(await run(flags, context)));
}
