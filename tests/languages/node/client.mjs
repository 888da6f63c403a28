// Open a stream with a fixed window, read as many messages as is said, and then nothing, until the input ends.
//
//     node client.mjs ADDRESS METHOD WINDOW_BYTES READ
import grpc from "@grpc/grpc-js";

const [address, method, window, read] = process.argv.slice(2);
// grpc-js has one window for a stream and a connection of it, and one option
const options = Number(window) ? { "grpc-node.flow_control_window": Number(window) } : {};
const client = new grpc.Client(address, grpc.credentials.createInsecure(), options);
const metadata = new grpc.Metadata();
metadata.set("flowcontrol-client-name", "node-client");
if (Number(window)) metadata.set("flowcontrol-window-bytes", window);

const asTheyAre = (bytes) => bytes;
const call = client.makeServerStreamRequest(`/${method}`, asTheyAre, asTheyAre, Buffer.alloc(0), metadata);
let left = Number(read);
call.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
// a call with no "data" listener never stops: `pause` is what holds it back
call.on("data", () => {
  left -= 1;
  if (left <= 0) call.pause();
});
if (left === 0) call.pause();
process.stdin.on("end", () => process.exit()).resume();
