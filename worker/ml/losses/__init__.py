"""What networks are trained to make small, as plain functions of tensors: they own no weights and choose no device.

Each is corrected by default; `compat="original"` gives what Speech-to-face (Kacper-Pietkun/Speech-to-face, MIT)
computes, where that differs. Every loss answers its terms one by one, already weighted, beside their sum `total`, which
is the only one to call `backward` on.
"""
