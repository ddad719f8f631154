"""TE-D, ATE-D and unimodal debiasing on your own embeddings, or on a simulated sample if no file is given.

Command: python -m experiments.run causal_info_min/vqa_features --path FEATURES.npz --width 768 --mode loop
The archive holds first (n, a), second (n, b), answers (n,) or (n, A), and split (n,) with the values 'train', 'id' and
'ood'. For example, pooled question and image embeddings of VQA-CP v2 are 'train' and 'ood', and those of VQA v2 are
'id'.
Expected result: the paper's tables were not found; its abstract says that both methods gain out of distribution.
Expected time: small 3 min, paper 5 min on two CPU cores, without a file (estimated, not measured).
"""

import dataclasses

from experiments.papers.causal_info_min.features import Features

REPRODUCE = "smoke"

PAPER = Features()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, share=0.05, width=16, epochs=1),
    "small": dataclasses.replace(PAPER, replications=3),
    "paper": PAPER,
}
