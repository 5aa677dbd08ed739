// Prints what Segment's Node SDK sends for one call of each type, as {"CASE": message}; see ../README.md.
import { createServer } from "node:http";
import { Analytics } from "@segment/analytics-node";

const timestamp = new Date("2026-03-01T12:30:45.678Z");
const calls = {
  identify: ["identify", {
    userId: "u-äöü-1",
    traits: {
      email: "zoë@example.com", logins: 5, score: 0.5, admin: true, nickname: null, unset: undefined,
      createdAt: new Date("2020-02-29T01:02:03Z"),
      address: { city: "Zürich", geo: { lat: 47.37, tags: ["a", { b: 1 }] } },
      company: { id: 42, name: "Ærø 東京 🎉" },
    },
  }],
  identify_no_traits: ["identify", { userId: "u-1" }],
  identify_anonymous: ["identify", { anonymousId: "anon-1", traits: { plan: "trial" } }],
  group: ["group", { userId: "u-1", groupId: "acme", traits: { "total billed": 830, employees: 329, size: null } }],
  track: ["track", {
    userId: "u-1", anonymousId: "anon-1", event: "Order Completed ✓",
    properties: { revenue: 39.95, when: new Date("2026-02-28T00:00:00Z"), products: [{ sku: "a", n: 1 }], coupon: null },
  }],
  track_context_group: ["track", {
    userId: "u-1", event: "Registered", properties: { plan: "Pro" }, context: { groupId: "acme" },
  }],
  track_integrations_off: ["track", { userId: "u-1", event: "Registered", integrations: { All: false, Pendo: false } }],
  page: ["page", {
    userId: "u-1", category: "Docs", name: "Install", properties: { url: "https://example.com/docs", path: "/docs" },
  }],
  page_bare: ["page", { userId: "u-1" }],
  screen: ["screen", { userId: "u-1", category: "Main", name: "Inbox", properties: { unread: 3 } }],
  screen_bare: ["screen", { userId: "u-1" }],
  alias: ["alias", { userId: "u-1", previousId: "anon-1" }],
};

const received = {};
const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    for (const message of JSON.parse(Buffer.concat(chunks)).batch) {
      received[message.messageId.slice("node-".length)] = message;
    }
    response.writeHead(200, { "Content-Type": "application/json" }).end('{"success":true}');
  });
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const analytics = new Analytics({ writeKey: "wk", host: `http://127.0.0.1:${server.address().port}` });
analytics.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
for (const [name, [method, message]] of Object.entries(calls)) {
  analytics[method]({ ...message, messageId: `node-${name}`, timestamp });
}
await analytics.closeAndFlush();
server.close();
server.closeAllConnections();
const inOrder = Object.fromEntries(Object.keys(calls).map((name) => [name, received[name]]));
process.stdout.write(`${JSON.stringify(inOrder)}\n`);
