import { expect } from 'chai';
import { Command } from 'commander';
import { addCurlOptions, type CurlOptions, curlRequest } from '../../../../src/cli/input/curl-options.ts';

function parse(...args: readonly string[]): CurlOptions {
  return addCurlOptions(new Command().exitOverride()).parse(args, { from: 'user' }).opts<CurlOptions>();
}

describe('curlRequest', () => {
  it('sends -d, --data-raw and --data-binary as one form, in the order given', () => {
    expect(curlRequest('/x', parse('-d', 'a=b', '--data-raw', 'c=d', '--data-binary', 'e'))).to.deep.equal({
      path: '/x',
      method: 'POST',
      headers: [['Content-Type', 'application/x-www-form-urlencoded']],
      body: 'a=b&c=d&e',
    });
  });

  it('appends data to the query with -G', () => {
    expect(curlRequest('/x?z=1', parse('-G', '-d', 'a=b', '--data-urlencode', 'c=d'))).to.deep.equal({
      path: '/x?z=1&a=b&c=d',
      method: 'GET',
      headers: [],
    });
  });

  it('sends JSON, HEAD, credentials and cookies', () => {
    expect(curlRequest('/', parse('--json', '{}'))).to.deep.include({ method: 'POST', body: '{}' });
    expect(curlRequest('/', parse('-I', '-u', 'a:b', '-b', 'c=d', '-A', 'me', '-e', 'http://r'))).to.deep.equal({
      path: '/',
      method: 'HEAD',
      headers: [
        ['Authorization', 'Basic YTpi'],
        ['User-Agent', 'me'],
        ['Referer', 'http://r'],
        ['Cookie', 'c=d'],
      ],
    });
  });

  it('ignores flags that do not change the request', () => {
    expect(curlRequest('/', parse('-sSkv', '-w', '%{http_code}', '--http1.1', '-m', '3'))).to.deep.equal({
      path: '/',
      method: 'GET',
      headers: [],
    });
  });
});
