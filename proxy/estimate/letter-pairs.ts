/** The 250 pairs of letters that English documentation is made of, most frequent first. */
const PAIRS =
  'thinhereeronanesteoratsetiisstedaldeenletocoitngndarntiorochsiacrimecetahaasraliecllneetofmaveomnsfiiccailusprctoufoeahitrgeur' +
  'lobediadsopepaelssnootamutnalancrstsckemunlywiexulkeaipoocolosiaagblrtplowmpmomihoimifabigevopbiptnisuirvibueeebdottscibidooip' +
  'syieefodwhtyvanuapwacrfaysueryivffupbytucurnlsnfshgrluciumdaspboldrmfeauepddquhtfrgieyppwedstcclrcwokabaltovrurdguavtwdrpssatp' +
  'hrogayfuuignmmrrokpinlrgrkccyobrmbmsrvftucuaegobwnequbdukimuypskghuxewixpuudnyxteijsoarftlnnxaoijehuxpksizzeugcsnvwrufdmws'

const FREQUENT: ReadonlySet<string> = new Set(PAIRS.match(/../g))

/** Of two lower-case ASCII letters: whether English has that pair seldom or never. */
export const isRarePair = (pair: string): boolean => !FREQUENT.has(pair)
