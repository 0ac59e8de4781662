/*
 * The cache of what is downloaded or built once, outside of the checkout.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Directory of everything kept between runs: `SALLYPORT_CACHE`, else `sallyport` in `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheRoot(): string {
  const own = process.env['SALLYPORT_CACHE'];
  if (own) return own;
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sallyport');
}
