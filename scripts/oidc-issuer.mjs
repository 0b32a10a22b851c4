// An OpenID provider on loopback for scripts/oidc.sh: tokens by the client-credentials grant, signed with the first of its keys.
//
// usage: node oidc-issuer.mjs FOLDER PORT KEY...    a key is a file in FOLDER with a JWK; its name begins with the algorithm
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, port, ...names] = process.argv.slice(2);
const require = createRequire(join(process.env.NODE_MODULES, "package.json"));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

function key(name) {
  const file = join(folder, `${name}.json`);
  const alg = name.split("-")[0];
  if (!existsSync(file)) {
    const pair = alg === "RS256" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });
    writeFileSync(file, JSON.stringify({ ...pair.privateKey.export({ format: "jwk" }), kid: name, alg, use: "sig" }), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(file, "utf8"));
}

const keys = names.map(key);
const client = (id) => ({
  client_id: id, client_secret: "a secret of this test alone", grant_types: ["client_credentials"], redirect_uris: [], response_types: [],
  id_token_signed_response_alg: keys[0].alg,
});
// Who asks for a resource gets a JWT whose audience is the resource; `urn:brief` is one for a second.
const resource = (_, audience) => ({
  audience: audience === "urn:brief" ? "urn:ring" : audience, scope: "jobs:read jobs:write", accessTokenFormat: "jwt", jwt: { sign: { alg: keys[0].alg } },
  accessTokenTTL: audience === "urn:brief" ? 1 : 3600,
});
const provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: [client("crawler")], jwks: { keys }, cookies: { keys: ["never used"] }, scopes: ["jobs:read", "jobs:write"],
  features: {
    clientCredentials: { enabled: true }, devInteractions: { enabled: false },
    resourceIndicators: { enabled: true, getResourceServerInfo: resource, defaultResource: () => "urn:ring", useGrantedResource: () => true },
  },
});
const tls = { cert: readFileSync(join(folder, "issuer.pem")), key: readFileSync(join(folder, "issuer.key")) };
createServer(tls, provider.callback()).listen(Number(port), "127.0.0.1", () => console.log(`listening, signing with ${names[0]}`));
