// Records what a page's microphone hears (left) and what its loudspeaker plays (right) on one clock; `tape()` gives it as
// the base64 of a WebM file. The page's own graph stays as it is.
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
const connect = AudioNode.prototype.connect;
let microphone = null;
let listen = null;
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const stream = await ask(wanted);
  if (stream.getAudioTracks().length) {
    microphone = stream;
    listen?.(stream);
  }
  return stream;
};
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode && !globalThis.tape) {
    const merger = new ChannelMergerNode(this.context, { numberOfInputs: 2 });
    const sink = new MediaStreamAudioDestinationNode(this.context, { channelCount: 2 });
    connect.call(merger, sink);
    connect.call(this, merger, 0, 1);
    listen = (stream) => connect.call(new MediaStreamAudioSourceNode(this.context, { mediaStream: stream }), merger, 0, 0);
    if (microphone) listen(microphone);
    const parts = [];
    const recorder = new MediaRecorder(sink.stream, { audioBitsPerSecond: 256000 });
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.start(500);
    globalThis.tape = async () => {
      await new Promise((done) => {
        recorder.onstop = done;
        recorder.stop();
      });
      const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
      let text = "";
      for (const byte of bytes) text += String.fromCharCode(byte);
      return btoa(text);
    };
  }
  return connect.call(this, target, ...rest);
};
