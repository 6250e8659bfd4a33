// Frames go to the stream of a connection past the Sender of ws, as long as it holds nothing back itself: it writes each of its
// own frames to that stream at once (ws/lib/sender.js, sendFrame), and keeps no count of them. Without this everything goes by
// the documented send().
export const directFrames = { areUsed: true }
