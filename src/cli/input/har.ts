/*
 * Reads the requests of an HTTP archive (HAR), the format that browsers and proxies save.
 * @see http://www.softwareishard.com/blog/har-12-spec/
 */
import * as z from 'zod';
import { CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { parseJson } from './read-file.ts';
import type { RequestSpec } from './request-spec.ts';
import { splitUrl } from './split-url.ts';

const harSchema = z.object({
  log: z.object({
    entries: z.array(
      z.object({
        request: z.object({
          method: z.string(),
          url: z.string(),
          headers: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
          postData: z.object({ text: z.string().optional() }).optional(),
        }),
      }),
    ),
  }),
});

/**
 * The requests in `text`, in file order. HTTP/2 pseudo headers are dropped: the URL has their values.
 * @param file for the message @throws CommandError with exit code 65 when the text is not a HAR
 */
export function parseHar(text: string, file: string): readonly RequestSpec[] {
  const result = harSchema.safeParse(parseJson(text, file));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CommandError(EXIT_BAD_DATA, `${file}: not a HAR file: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  return result.data.log.entries.map(({ request }) => {
    const { host, path, dialed } = splitUrl(request.url);
    const kept = request.headers.filter(
      ({ name }) => !name.startsWith(':') && !/^(connection|content-length|transfer-encoding)$/i.test(name),
    );
    const hasHost = kept.some(({ name }) => name.toLowerCase() === 'host');
    return {
      method: request.method,
      path,
      headers: kept.map(({ name, value }): [string, string] => [name, value]),
      ...(host === undefined || hasHost ? {} : { host }),
      ...(dialed === undefined ? {} : { dialed }),
      ...(request.postData?.text === undefined ? {} : { body: request.postData.text }),
    };
  });
}
