#!/bin/sh
# Makes the sample recordings in this folder. Nobody's voice is in them: every one is synthesised.
#   apt-get install espeak-ng flite sox libsox-fmt-mp3
# Run it from anywhere; it overwrites the recordings beside it.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# espeak-ng: name, voice, pitch (0-99), words a minute, text
espeak() {
    espeak-ng -v "$2" -p "$3" -s "$4" -w "$work/$1.wav" "$5"
}
# flite: name, voice, stretch of durations, mean pitch in Hz, text
flite_says() {
    flite -voice "$2" --setf duration_stretch="$3" --setf int_f0_target_mean="$4" -t "$5" -o "$work/$1.wav"
}

espeak harbour en-gb+m3 28 150 "The harbour was quiet this morning, and the first boats came home before the rain."
espeak orchard en-us+f2 62 160 "My grandmother's orchard has three kinds of pear, and all of them ripen too late."
espeak lantern en-gb-scotland+m7 14 135 "Leave the lantern on the bridge, so that nobody misses the narrow path."
espeak market en-us+f4 74 175 "On Thursdays the market is full of honey, bread, and people who talk all at once."
espeak compass en-gb+m1 45 165 "A compass is of little use in a town where every street is round."
flite_says kettle slt 1.05 185 "The kettle sings a little higher every time somebody fills it to the top."
flite_says gravel rms 1.0 95 "Gravel, sand and clay: the river sorts them better than any sieve I know."
flite_says weather awb 1.0 120 "If the weather holds until Sunday, we will paint the boat shed green."
flite_says station kal16 1.1 105 "The last train leaves from platform four, ten minutes earlier than it used to."
flite_says violin slt 0.95 225 "She tuned the violin twice, and still the second string would not agree."

# 16 kHz, mono; -R makes the dither repeatable.
for name in harbour orchard lantern compass kettle gravel weather violin; do
    sox -R "$work/$name.wav" -r 16000 -c 1 -b 16 "$name.flac"
done
sox -R "$work/market.wav" -r 16000 -c 1 market.ogg
sox -R "$work/station.wav" -r 16000 -c 1 -C 64 station.mp3
