"""Which verbs follow which irregular model: every member by name, never by its ending.

Innovar, derogar, compensar and pretender look like renovar, rogar, pensar and tender and are regular: an ending
says nothing. After the Nueva gramática (2009) and the Ortografía (2010) of the Real Academia Española.
"""

from __future__ import annotations


def _verbs(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Stem vowels that change under stress

E_IE = _verbs(
    """abeldar ablentar adestrar albeldar alebrar aliquebrar apernar aspaventar autogobernar beldar decentar dentar
    derrenegar desarrendar desatentar descerrar desdentar desentesar deslendrar desmelar desnegar desosegar despedrar
    despezar destentar desventar dezmar encentar encomenzar endentar enhestar enlenzar enmelar ensarmentar entesar
    entrepernar hacendar herbar herventar infernar inhestar jamerdar melar patiquebrar pimentar precalentar realentar
    reapretar reasentar reaventar recentar recerrar reherrar sarmentar sementar simentar sorregar subentender
    sobreverter transfregar trasfregar trasverter travesar ventar desquerer
    abnegar acertar acrecentar alentar apacentar apretar arrendar asentar aserrar atravesar aventar calentar cegar
    cerrar comenzar concertar confesar denegar desacertar desalentar desapretar desasosegar desatravesar desconcertar
    desempedrar desencerrar desenterrar desgobernar deshelar desherrar desmembrar despernar despertar despezar
    desplegar desterrar desvergonzarse empedrar empezar encerrar encomendar encubertar enmendar ensangrentar
    enterrar entrecerrar errar escarmentar estregar fregar gobernar helar herrar incensar manifestar mentar merendar
    negar nevar pensar perniquebrar plegar quebrar recalentar recomendar recomenzar refregar regar remendar renegar
    repensar replegar requebrar resegar resquebrar restregar retemblar retentar reventar segar sembrar sentar serrar
    sobrecalentar sobresembrar resembrar sosegar soterrar subarrendar temblar tentar trasegar tropezar desnevar
    desasentar desembarrar desaferrar
    ascender atender cerner coextender condescender contender defender desatender descender desentender distender
    encender entender extender heder hender malentender perder reencender reverter sobreentender sobrentender
    subtender tender transcender trascender verter
    despezar desaterrar condecender contramanifestar jimenzar rusentar superentender discerner ferrar desherbar encubertar salpimentar
    cernir concernir discernir hendir
    querer bienquerer malquerer"""
) - _verbs("desvergonzarse desembarrar desaferrar")

O_UE = _verbs(
    """abuñolar acollar acornar afollar amolar amover asolar asoldar azolar circunvolar cornar dedolar descordar
    desavergonzar desencovar desflocar desforzar desmajolar desolar desvolver dolar emporcar encovar engorar enllocar
    enrodar ensalmorar ensolver escolar escornar estorcer grandisonar improbar percontar precocer rehollar remoler
    rencontrar rescontrar retrocar sobrecocer sobrepoblar sobresolar solar solver subsolar trasvolcar
    acordar acostar agorar almorzar aporcar apostar aprobar asonar avergonzar clocar aclocar enclocar colar colgar comprobar
    concordar consolar consonar contar costar degollar demostrar denostar desacordar desaprobar descolgar descollar
    desconsolar descontar desencordar desengrosar desollar despoblar destrocar desvergonzar discordar disonar encontrar
    encordar engrosar enrocar ensoñar entortar esforzar forzar holgar hollar mancornar mostrar moblar amoblar
    desamoblar poblar probar recolar recontar recordar recostar reencontrar reforzar regoldar renovar reprobar repoblar
    resollar resonar retostar retronar revolar revolcar rodar rogar sobrevolar soldar desoldar soltar sonar sonrodar
    soñar superpoblar tostar trascolar trascordar trasvolar trastrocar trocar tronar atronar volar volcar desosar
    malsonar trasoñar encorar descornar
    absolver cocer condoler conmover demoler desenvolver devolver disolver doler entremorder envolver escocer llover
    moler morder mover oler poder promover recocer recoser remorder remover resolver retorcer contorcer destorcer
    revolver soler torcer volver
    desaforar redescontar apercollar percollar arrevolver desarrevolver entremostrar entrevolver atorcer desacollar desencontrar desmoler
    empajolar premostrar resolgar unisonar remolar descocer alongar"""
) - _verbs("recoser enrocar")

ALSO_REGULAR = _verbs(
    """alongar desaforar amoblar aporcar asolar desengrosar desherbar desplegar encubertar engrosar errar estregar ferrar mancornar moblar plegar replegar
    restregar salpimentar soterrar"""
)
"""Verbs of the two lists above that are also conjugated without the change, and no less rightly: asuele, asole."""
ALSO_E_IE = _verbs(
    """aferrar remembrar aterrar atestar cimentar derrengar descimentar desinvernar destemplar emparentar invernar regimentar
    templar"""
)
ALSO_O_UE = _verbs("enrocar aforar derrocar")
"""Regular verbs that also change their vowel, less often or in one sense: emparente, empariente."""

IE_I = _verbs(
    """autosugerir circunferir conquerir desadvertir desconsentir desinvertir inserir manferir reherir reinvertir
    adherir advertir arrepentir asentir conferir consentir controvertir convertir deferir desmentir diferir digerir
    disentir divertir extravertir herir hervir prehervir inferir ingerir injerir interferir introvertir invertir malherir mentir
    pervertir preferir presentir proferir reconvertir referir rehervir requerir resentir revertir sentir subvertir
    sugerir transferir trasferir zaherir"""
)
I_I = _verbs(
    """acomedir afreñir aseguir circunceñir deseguir prefreír astreñir autocorregir costreñir deservir desimpedir entreteñir esleír receñir recolegir
    ceñir colegir comedir competir concebir conseguir constreñir corregir derretir descomedir desceñir desleír
    desmedir despedir rehenchir desteñir desvestir elegir embestir engreír envestir estreñir expedir freír gemir henchir heñir impedir
    investir medir pedir perseguir preconcebir preelegir proseguir reelegir reexpedir refreír regir reinvestir reír
    remedir rendir reñir repetir reseguir reteñir revestir seguir servir sobrevestir sofreír sonreír subseguir teñir
    transvestir trasvestir travestir vestir"""
)
UE_U = _verbs("dormir adormir redormir morir premorir entremorir")
I_IE = _verbs("adquirir coadquirir inquirir perquirir pesquirir readquirir")
U_UE = _verbs("jugar")

# Weak vowels that are stressed and then written with an accent

STRESSED_I = _verbs(
    """adiar almadiar cuchichiar engaliar entrecriar esperriar rujiar acuantiar autoconfiar autoguiar calosfriar descriar enhastiar enlejiar enriar esfriar filmografiar grafiar
    monografiar realiar reampliar reconfiar reenfriar reguiar reliar vigiar
    aliar ampliar amnistiar ataviar desataviar autografiar averiar aviar desaviar biografiar bibliografiar
    cablegrafiar caligrafiar cartografiar chirriar ciar cinematografiar confiar contrariar coreografiar criar
    dactilografiar desafiar desaliar descarriar desconfiar desliar desviar desvariar enfriar enviar entrefriar escalofriar
    calofriar espiar esquiar estenografiar estriar extraviar fiar filmografiar fotografiar fotolitografiar guiar
    teleguiar hastiar inventariar jipiar liar litografiar malcriar mecanografiar miar monografiar ortografiar piar
    pipiar porfiar puntiar radiografiar recriar reenviar resfriar refriar rociar rumiar serigrafiar taquigrafiar
    telegrafiar tipografiar topografiar triar vaciar variar xerografiar xilografiar zurriar arriar amnistiar
    ansiar cuantiar expiar gloriar vanagloriar expatriar repatriar extasiar paliar auxiliar agriar historiar vidriar
    atrofiar espurriar arrumiar"""
) - _verbs("puntiar rumiar arrumiar atrofiar desaliar espurriar")
STRESSED_I_OR_NOT = _verbs(
    """ansiar auxiliar agriar desagriar expatriar repatriar extasiar gloriar historiar ludiar paliar vidriar
    zurriar"""
)
"""Both are right: historíe, historie."""
PLAIN_I_OR_STRESSED = _verbs("afiliar cariar filiar vanagloriar")
"""Both are right, and the other one comes first: afilie, afilíe."""
STRESSED_U_OR_NOT = _verbs("adecuar colicuar evacuar licuar oblicuar promiscuar anticuar apropincuar inadecuar")
"""Verbs in -cuar: adecúe and adecue."""

HIATUS = _verbs(
    """ahuchar cafeinar desainar desraizar desteinar reilar reinstar reusar sainar atraillar baraustar cabrahigar desahitar desaislar desatraillar desprohibir encabrahigar parahusar raspahilar retahilar
    reuntar traillar zahumar
    ahijar prohijar desahijar ahilar rehilar sobrehilar ahincar ahitar airar aislar amohinar arcaizar ateizar
    cohibir prohibir descafeinar enraizar desenraizar europeizar hebraizar judaizar reunir
    ahumar sahumar aullar maullar aunar desaunar aupar embaular desembaular rehundir rehusar rehuir ahusar
    desahumar rehurtar barahustar"""
)
"""Verbs whose stem vowel stands beside another and takes an accent under stress: prohíba, reúna, aísle."""
HIATUS_OR_NOT = _verbs("corporeizar desahuciar homogeneizar")

# Consonants

PLAIN_C = _verbs(
    """atorcer descocer precocer sobrecocer estorcer mecer remecer vencer convencer ejercer coercer torcer retorcer contorcer destorcer cocer recocer escocer
    esparcir zurcir resarcir fruncir desfruncir uncir desuncir estarcir"""
)
"""Verbs in -cer and -cir that do not take -zc-: meza, venza, esparza."""
# Families of irregular verbs: base → its verbs with a prefix

FAMILIES: dict[str, frozenset[str]] = {
    "tener": _verbs(
        "abstener contratener manutener atener contener detener entretener mantener obtener retener sostener automantener"
    ),
    "venir": _verbs(
        """advenir antevenir aprevenir contraconvenir bienvenir circunvenir entrevenir malvenir supervenir transvenir avenir contravenir convenir desavenir desconvenir devenir disconvenir intervenir
        prevenir provenir reconvenir revenir sobrevenir subvenir"""
    ),
    "poner": _verbs(
        """anteponer autoimponer autoproponer descontraponer desponer entreponer postponer redisponer reexponer aponer componer contraponer contraproponer deponer descomponer desimponer disponer exponer
        imponer indisponer interponer oponer posponer predisponer preponer presuponer proponer recomponer reimponer
        reponer sobreexponer sobreponer subexponer superponer suponer transponer trasponer yuxtaponer"""
    ),
    "hacer": _verbs("bienhacer contrahacer deshacer malhacer rehacer"),
    "satisfacer": _verbs("estupefacer licuefacer liquefacer malfacer putrefacer rarefacer torrefacer tumefacer"),
    "decir": frozenset(),
    "predecir": _verbs("antedecir entredecir interdecir redecir"),
    "contradecir": _verbs("condecir desdecir"),
    "bendecir": _verbs("maldecir"),
    "traer": _verbs(
        "abstraer bistraer dentrotraer destraer protraer sobretraer substraer atraer contraer desatraer detraer distraer extraer maltraer retraer retrotraer subtraer sustraer"
    ),
    "caer": _verbs("acaer decaer descaer escaer recaer"),
    "oír": _verbs("desoír entreoír reoír trasoír"),
    "ver": frozenset(),
    "prever": _verbs("antever desver entrever sobrever interver rever telever trasver"),
    "salir": _verbs("asalir entresalir resalir sobresalir"),
    "valer": _verbs("equivaler revaler prevaler desvaler contravaler"),
    "querer": _verbs("bienquerer desquerer malquerer"),
    "saber": _verbs("resaber"),
    "andar": _verbs("desandar reandar"),
    "roer": _verbs("corroer"),
    "asir": _verbs("desasir reasir"),
    "yacer": _verbs("adyacer entreyacer subyacer"),
    "placer": frozenset(),
}

# Participles

PARTICIPLES: dict[str, tuple[str, ...]] = {
    "abrir": ("abierto",), "reabrir": ("reabierto",), "entreabrir": ("entreabierto",),
    "cubrir": ("cubierto",), "descubrir": ("descubierto",), "encubrir": ("encubierto",),
    "recubrir": ("recubierto",), "redescubrir": ("redescubierto",),
    "escribir": ("escrito",), "adscribir": ("adscrito", "adscripto"), "circunscribir": ("circunscrito", "circunscripto"),
    "describir": ("descrito", "descripto"), "inscribir": ("inscrito", "inscripto"), "preinscribir": ("preinscrito",),
    "prescribir": ("prescrito", "prescripto"), "proscribir": ("proscrito", "proscripto"),
    "reescribir": ("reescrito",), "rescribir": ("rescrito",), "sobrescribir": ("sobrescrito",),
    "sobreescribir": ("sobreescrito",), "subscribir": ("subscrito", "subscripto"),
    "suscribir": ("suscrito", "suscripto"), "transcribir": ("transcrito", "transcripto"),
    "trascribir": ("trascrito", "trascripto"), "manuscribir": ("manuscrito",), "reinscribir": ("reinscrito",),
    "morir": ("muerto",), "premorir": ("premuerto",), "entremorir": ("entremuerto",),
    "romper": ("roto",),
    "volver": ("vuelto",), "devolver": ("devuelto",), "desenvolver": ("desenvuelto",), "envolver": ("envuelto",),
    "revolver": ("revuelto",), "absolver": ("absuelto",), "disolver": ("disuelto",), "resolver": ("resuelto",),
    "imprimir": ("impreso", "imprimido"), "reimprimir": ("reimpreso", "reimprimido"),
    "sobreimprimir": ("sobreimpreso", "sobreimprimido"),
    "freír": ("frito", "freído"), "refreír": ("refrito", "refreído"), "sofreír": ("sofrito", "sofreído"),
    "proveer": ("provisto", "proveído"), "desproveer": ("desprovisto", "desproveído"),
    "arrevolver": ("arrevuelto",), "desarrevolver": ("desarrevuelto",), "entrevolver": ("entrevuelto",),
    "prefreír": ("prefrito", "prefreído"), "desvolver": ("desvuelto",), "ensolver": ("ensuelto",), "solver": ("suelto",),
    "pudrir": ("podrido",), "repudrir": ("repodrido",),
    "estupefacer": ("estupefacto",), "licuefacer": ("licuefacto",), "liquefacer": ("liquefacto",),
    "malfacer": ("malfecho",), "putrefacer": ("putrefacto",), "rarefacer": ("rarefacto",),
    "torrefacer": ("torrefacto",), "tumefacer": ("tumefacto",),
}  # fmt: skip

# Verbs that are not used in every person

IMPERSONAL = _verbs(
    """alborear amanecer anochecer atardecer atronar centellear chispear clarear desnevar diluviar escampar escarchar
    garuar granizar helar llover lloviznar neviscar nevar oscurecer relampaguear rielar tronar ventear ventiscar"""
) - _verbs("atronar clarear centellear chispear escampar oscurecer rielar ventear garuar")
"""Of the weather: third person singular only, unless figurative."""
THIRD_PERSON = _verbs("acaecer acontecer atañer concernir")
"""Of what happens: third persons only."""
MOSTLY_THIRD = _verbs("competer incumbir ocurrir suceder")
"""The other persons are possible and rare."""
NO_FUTURE = _verbs("soler")
ONLY_I = _verbs("aguerrir arrecir aterir balbucir descolorir desvaír despavorir embaír empedernir preterir")
"""Only the forms whose ending begins with i: aguerrimos, aguerría, aguerriera."""

# Verbs of two infinitives, and prefixes that any verb may take

SAME_AS = {"podrir": "pudrir", "repodrir": "repudrir"}
"""Infinitive → the one whose forms it has: pudro, pudra."""
PREFIXES = ("auto", "ciber", "foto", "hiper", "micro", "multi", "super", "tele", "ultra", "video")
"""What is put before any verb and leaves its conjugation alone; no verb of another origin begins so and ends in one."""
