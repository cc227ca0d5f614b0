"""What others published for something like our measures, to stand beside ours with everything that is different.

Shares are shares and not percent. A number whose source could not be opened is marked as recalled.
"""

from __future__ import annotations

from worker.ml.metrics.measure import Published

_VOXCELEB = "VoxCeleb1 voices and VGGFace faces; embeddings of voice and face networks, nothing drawn; {}"
_UNSEEN = _VOXCELEB.format("random negatives, unseen people; as compared by the AML repository")
_README = _VOXCELEB.format("{}; from the repository's README")
_AVSPEECH = "a subset of AVSpeech; embeddings, nothing drawn; {}; from the repository's README"
_S2F_RECALL = (
    "AVSpeech, 6 s of voice, cosine of VGG-Face features, a gallery of about 100 (its row for guessing implies that); "
    "recalled, the table could not be opened"
)
_S2F_READ = (
    "AVSpeech, 4,986 pictures, a commercial reader, speech-to-face against the video frame; the authors' page"
)
_S2F_FACE = (
    "Pearson r over 1,000 AVSpeech pairs of frontal reconstructions, not photographs; the authors' page"
)
_SF2F = "HQ-VoxCeleb, ResNet-50 of VGGFace2 fed RGB with the mean of RGB; SF2F README"
_WEN_DRAWN = "VoxCeleb, faces drawn for unseen voices, matched by a face network; {}; recalled, not opened"

_S2F_MEASURES = {
    "nasal_index": 0.38,
    "nose_width": 0.35,
    "vermilion_height_index": 0.29,
    "nose_area": 0.28,
    "lateral_upper_lip_heights": 0.26,
    "intercanthal_index": 0.21,
    "mandibular_index": 0.20,
    "mouth_face_width_index": 0.20,
    "upper_lip_height": 0.16,
    "nose_height": 0.14,
    "jaw_width": 0.11,
}

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "matching.voice_to_face.2": (
        Published(0.76, "Wen et al., NeurIPS 2019", _WEN_DRAWN.format("random negatives")),
        Published(0.81, "SVHF-Net, CVPR 2018", _UNSEEN),
        Published(0.8412, "DIMNet, ICLR 2019", _UNSEEN),
        Published(0.84, "PINs, ECCV 2018", _UNSEEN),
        Published(0.9272, "AML, TMM 2021", _UNSEEN),
        Published(0.8029, "AaSM, 2023", _AVSPEECH.format("random negatives")),
    ),
    "matching.voice_to_face.2.same_gender": (
        Published(0.60, "Wen et al., NeurIPS 2019", _WEN_DRAWN.format("same gender")),
        Published(0.777, "Wen P. et al., CVPR 2021", _README.format("same gender")),
        Published(0.6878, "AaSM, 2023", _AVSPEECH.format("same gender")),
    ),
    "matching.voice_to_face.10": (
        Published(0.3450, "SVHF-Net, CVPR 2018", _UNSEEN),
        Published(0.3975, "DIMNet, ICLR 2019", _UNSEEN),
        Published(0.31, "PINs, ECCV 2018", _UNSEEN),
        Published(0.4345, "AML, TMM 2021", _UNSEEN),
    ),
    "matching.face_to_voice.2": (
        Published(0.795, "SVHF-Net, CVPR 2018", _UNSEEN),
        Published(0.8403, "DIMNet, ICLR 2019", _UNSEEN),
        Published(0.9333, "AML, TMM 2021", _UNSEEN),
        Published(0.7998, "AaSM, 2023", _AVSPEECH.format("random negatives")),
    ),
    "matching.face_to_voice.2.same_gender": (
        Published(0.753, "Wen P. et al., CVPR 2021", _README.format("same gender")),
        Published(0.6781, "AaSM, 2023", _AVSPEECH.format("same gender")),
    ),
    "matching.face_to_voice.10": (Published(0.3935, "AML, TMM 2021", _UNSEEN),),
    "auc": (
        Published(0.872, "Wen P. et al., CVPR 2021", _README.format("random negatives")),
        Published(0.8069, "AaSM, 2023", _AVSPEECH.format("random negatives")),
    ),
    "auc.same_gender": (
        Published(0.775, "Wen P. et al., CVPR 2021", _README.format("same gender")),
        Published(0.6863, "AaSM, 2023", _AVSPEECH.format("same gender")),
    ),
    "retrieval.map": (
        Published(0.055, "Wen P. et al., CVPR 2021", _README.format("its own gallery")),
        Published(0.1180, "AaSM, 2023", _AVSPEECH.format("its own gallery")),
    ),
    "retrieval.r1": (Published(0.1092, "Speech2Face, CVPR 2019", _S2F_RECALL),),
    "retrieval.r5": (Published(0.3060, "Speech2Face, CVPR 2019", _S2F_RECALL),),
    "retrieval.r10": (Published(0.4582, "Speech2Face, CVPR 2019", _S2F_RECALL),),
    "embedding.angle": (
        Published(
            45.75,
            "Speech2Face, CVPR 2019",
            "AVSpeech, 5,000 pairs, 6 s, VGG-Face features (its L1 and L2 are scaled in another way); recalled",
        ),
    ),
    "attributes.gender.read": (Published(0.94, "Speech2Face, CVPR 2019", _S2F_READ),),
    "vggface_score.sf2f": (
        Published(15.47, "voice2face, as trained by SF2F", f"64 pixels; {_SF2F}"),
        Published(19.49, "SF2F", f"64 pixels; {_SF2F}"),
        Published(20.10, "SF2F", f"128 pixels; {_SF2F}"),
    ),
    **{
        f"craniofacial.{name}": (Published(r, "Speech2Face, CVPR 2019", _S2F_FACE),)
        for name, r in _S2F_MEASURES.items()
    },
}
