"""VLUCI: variational learning of unobserved confounders, with a report of what identifies the answer.

``model.py`` holds the generative model and the posteriors, ``laws.py`` the families of the confounder U,
``objective.py`` the evidence lower bounds (ELBOs) ``L_T``, ``L_Y`` and ``L_J`` and the training loss, ``fit.py`` the
fit and functions of it, ``estimator.py`` the class ``VLUCI``. The class also uses ``completion.py`` (effect estimators
on data with U filled in), ``answers.py`` (the answer under one law of U) and ``identification.py`` (the report).
"""
