"""DemoVAE: an autoencoder whose decoder is given the demographics, so that its latents need not contain them.

    z = encoder(x),  x_hat = decoder([z, d])

Despite its name it samples nothing during training: moments of a batch take the place of a divergence from the prior.
With Z the n x L latents of a batch, d_j the j-th coded demographic column, s^2 the prior's variance and rmse over all
entries::

    L_rec  = rmse(x, x_hat)              L_cov  = rmse(Z'Z, n s^2 I)          L_mean = rmse(mean of Z, 0)
    L_demo = sum_j rmse(p_j, 0),         p_j[l] = sum_i (d_ij - mean d_j) z_il / (sd(d_j) sum_i z_il^2)
    L_guide: linear models of the demographics, fitted to data, must read the requested demographics off generated rows

**Guarantee**: each latent is *linearly and marginally* uncorrelated with each demographic column on the training rows,
and no more: there is no independence, no statement about other rows, and the latents are not identified.

``model.py`` holds the networks, ``objective.py`` the terms of the loss, ``fit.py`` the fit, and encoding, decoding and
sampling with it, ``estimator.py`` the class ``DemoVAE``.

Orlichenko et al. (2024), "A Demographic-Conditioned Variational Autoencoder for fMRI Distribution Sampling and Removal
of Confounds", arXiv 2405.07977; equations and defaults as in the authors' package ``demovae``, except that demographics
are standardized for the decoder, and the guide of each level counts once.
"""
